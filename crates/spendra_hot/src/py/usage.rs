//! Usage and meters in Python.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::{tokens, usage};

#[pyclass(frozen, eq, module = "spendra._hot")]
#[derive(Clone, PartialEq)]
pub(crate) struct Usage(pub(crate) usage::Usage);

macro_rules! counts {
    ($($name:ident),* $(,)?) => {
        #[pymethods]
        impl Usage {
            #[new]
            #[pyo3(signature = (*, $($name = 0),*))]
            #[allow(clippy::too_many_arguments)]
            fn new($($name: u64),*) -> Self {
                Self(usage::Usage { $($name,)* ..usage::Usage::default() })
            }

            $(
                #[getter]
                fn $name(&self) -> u64 {
                    self.0.$name
                }
            )*

            #[getter]
            fn passes(&self) -> Vec<(String, Option<String>, Self)> {
                let passes = self.0.passes.iter();
                passes
                    .map(|pass| (pass.kind.clone(), pass.model.clone(), Self(pass.usage.clone())))
                    .collect()
            }

            fn with_output(&self, output_tokens: u64) -> Self {
                Self(usage::Usage { output_tokens, ..self.0.clone() })
            }

            fn with_web_searches(&self, web_searches: u64) -> Self {
                Self(usage::Usage { web_searches, ..self.0.clone() })
            }

            fn __repr__(&self) -> String {
                let counts = [$((stringify!($name), self.0.$name)),*];
                let told = counts.iter().filter(|(_, count)| *count > 0);
                let told: Vec<_> = told.map(|(name, count)| format!("{name}={count}")).collect();
                format!("Usage({})", told.join(", "))
            }
        }
    };
}

counts! {
    input_tokens,
    cached_input_tokens,
    cache_write_tokens,
    cache_write_1h_tokens,
    output_tokens,
    reasoning_tokens,
    input_audio_tokens,
    output_audio_tokens,
    added_input_audio_tokens,
    cached_audio_tokens,
    input_image_tokens,
    cached_image_tokens,
    output_image_tokens,
    input_video_tokens,
    tool_use_input_tokens,
    hidden_output_tokens,
    citation_tokens,
    web_searches,
    file_searches,
    search_units,
    billable_characters,
    audio_ms,
    pages,
    annotated_pages,
}

#[pyclass(frozen, module = "spendra._hot")]
pub(crate) struct Metered(pub(crate) usage::Metered);

#[pymethods]
impl Metered {
    #[getter]
    fn usage(&self) -> Option<Usage> {
        self.0.usage.clone().map(Usage)
    }

    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    #[getter]
    fn service_tier(&self) -> Option<&str> {
        self.0.service_tier.as_deref()
    }

    #[getter]
    fn stated_cost_nanousd(&self) -> Option<u64> {
        self.0.stated_cost_nanousd
    }

    #[getter]
    fn finished(&self) -> bool {
        self.0.finished
    }

    #[getter]
    fn failed(&self) -> bool {
        self.0.failed
    }

    fn delivered_tokens(&self, py: Python<'_>, model: &str) -> u64 {
        py.detach(|| self.0.delivered.tokens(|text| tokens::count(text, model)))
    }
}

/// Sans-I/O; finished once, after which it knows what it knew then.
#[pyclass(frozen, module = "spendra._hot")]
struct Meter(Mutex<usage::Meter>);

#[pymethods]
impl Meter {
    #[new]
    #[pyo3(signature = (dialect, *, streaming))]
    fn new(dialect: &str, streaming: bool) -> Self {
        let dialect = usage::Dialect::of(dialect);
        Self(Mutex::new(usage::Meter::new(dialect, streaming)))
    }

    fn feed(&self, chunk: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .feed(chunk);
    }

    fn finish(&self) -> Metered {
        let mut meter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meter.end();
        Metered(meter.metered())
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Usage>()?;
    module.add_class::<Metered>()?;
    module.add_class::<Meter>()
}
