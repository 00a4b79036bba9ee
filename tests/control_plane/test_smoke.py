def test_it(org):
    k = org.post("/v1/keys", {"name":"a","scope":{"project":"checkout"}, "max_request_usd": 1.5})
    print(k)
    print(org.post("/v1/keys", {"nam":"a"}, 422))
    b=org.post("/v1/budgets", {"name":"a","scope":{"project":"checkout"}, "limit_usd": "1.5","period":"month","kind":"hard"})
    print(b)
    print(org.api.get("/metrics").text[:500])
