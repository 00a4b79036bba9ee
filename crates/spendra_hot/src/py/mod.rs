//! The Python face. It converts and nothing else.

mod relay;

#[pyo3::pymodule]
mod _hot {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        super::relay::register(m)
    }
}
