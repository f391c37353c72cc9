using System.Globalization;
using System.Text;
using Bank.Contracts;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>
/// What a client must not send, and the exact status and code that it gets. None of it is an error of the server, and none of it writes.
/// Requests are raw bytes: no client library would send most of them.
/// </summary>
[Collection(OneBank.Name)]
public sealed class BadInputTests(OneBank.Fixture shared, BadInputTests.Accounts accounts) : IClassFixture<BadInputTests.Accounts>
{
    private static readonly Dictionary<string, Bad> Catalogue = Cases().ToDictionary(bad => bad.Name, StringComparer.Ordinal);

    public static TheoryData<string> Names => [.. Catalogue.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task It_is_refused_with_its_code_and_writes_nothing(string name)
    {
        var bad = Catalogue[name];
        var head = await shared.Bank.HeadAsync();

        var answer = await RawHttp.SendAsync(
            shared.Bank.Address, bad.Request.Select(piece => accounts.FillIn(piece)), TestContext.Current.CancellationToken);

        answer.Is(bad.Status, bad.Code);
        if (bad.Code is not null)
            Assert.Equal("application/problem+json", answer.Headers["Content-Type"]);
        if (bad.Code == "malformed_request")
            Assert.NotEmpty(answer.Body!["errors"]!.AsObject());
        Assert.Equal(head, await shared.Bank.HeadAsync());
        // An error may be logged after the answer: then it is found by the next case.
        Assert.Empty(shared.Bank.Errors);
    }

    [Fact]
    public void The_catalogue_has_at_least_a_hundred_cases() => Assert.InRange(Catalogue.Count, 100, int.MaxValue);

    private sealed record Bad(string Name, int Status, string? Code, IEnumerable<byte[]> Request);

    private static IEnumerable<Bad> Cases() =>
    [
        .. Amounts(), .. Bodies(), .. Fields(), .. Sizes(), .. MediaTypes(), .. Headers(), .. Origins(), .. Paths(), .. Methods(),
        .. Queries(), .. Rules(), .. NotHttp(),
    ];

    private static IEnumerable<Bad> Amounts()
    {
        string[] values =
        [
            "\"0\"", "\"-0\"", "\"0.00\"", "\"0.001\"", "\"-1\"", "\"+1\"", "\"1e3\"", "\"1E3\"", "\"1e-29\"", "\"1.001\"", "\"1.\"",
            "\".5\"", "\"01\"", "\"00.50\"", "\"1,000.00\"", "\"1,5\"", "\"1_000\"", "\"1 000\"", "\" 1\"", "\"1 \"", "\"1\\n\"",
            "\"\"", "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "\"0x10\"", "\"1.5.0\"", "\"--1\"", "\"$1\"", "\"1 USD\"", "\"one\"",
            "\"1234567890123456789012345678901234567890\"", "\"10000000000000.01\"", "\"10000000000001\"", "\"9223372036854775807\"",
            "\"9223372036854775808\"", "\"1.00000\"", "\"\\u0661\\u0662\\u0663\"", "\"\\uFF11\"", "\"\\u00BD\"", "\"1\\u0000\"",
            "\"\\u0000\"", "\"1\\u202E\"",
            "100", "1.5", "-1", "1e400", "0", "true", "false", "null", "[]", "[\"1\"]", "{}", "{\"value\":\"1\"}",
        ];
        foreach (var value in values)
            yield return Post("amount " + value, "/accounts/{usd}/deposit", $$"""{"amount": {{value}}}""");
        foreach (var value in (string[])["1.5", "1.0", "0.1", "1000000000000001"])
            yield return Post($"amount {value} JPY", "/accounts/{jpy}/deposit", $$"""{"amount": "{{value}}"}""");
        foreach (var value in (string[])["\"-1\"", "\"1.001\"", "\"10000000000000.01\"", "\"\"", "1000", "null"])
            yield return Post("initial_deposit " + value, "/accounts", $$"""{"owner_name": "J", "initial_deposit": {{value}}}""");
        yield return Post(
            "initial_deposit 1.5 JPY", "/accounts", """{"owner_name": "J", "initial_deposit": "1.5", "currency": "JPY"}""");
        yield return Post("withdraw 0", "/accounts/{usd}/withdraw", """{"amount": "0"}""");
        yield return Post("withdraw 1.001", "/accounts/{usd}/withdraw", """{"amount": "1.001"}""");
        yield return Post("transfer 0", "/accounts/{usd}/transfer", """{"to_account_id": "{other}", "amount": "0"}""");
        yield return Post("transfer 1.001", "/accounts/{usd}/transfer", """{"to_account_id": "{other}", "amount": "1.001"}""");
    }

    private static IEnumerable<Bad> Bodies()
    {
        const string path = "/accounts/{usd}/deposit";
        (string Name, string Body)[] bodies =
        [
            ("no body", ""), ("white space", "  \n"), ("null", "null"), ("an array", "[]"), ("a string", "\"x\""), ("a number", "1"),
            ("no amount", "{}"), ("no amount but a description", """{"description": "x"}"""), ("cut off", """{"amount": "1"""),
            ("cut off before its end", """{"amount": "1" """), ("text behind it", """{"amount": "1"} x"""),
            ("two objects", """{"amount": "1"}{"amount": "1"}"""), ("a comment", """{"amount": "1" /* one */}"""),
            ("a trailing comma", """{"amount": "1",}"""), ("single quotes", "{'amount': '1'}"), ("a bare name", "{amount: \"1\"}"),
            ("a form", "amount=1&description=x"), ("XML", "<amount>1</amount>"),
            ("an unknown field", """{"amount": "1", "fee": "0"}"""),
            ("__proto__", """{"amount": "1", "__proto__": {}}"""), ("a repeated field", """{"amount": "1", "amount": "1"}"""),
            ("a field repeated in escapes", """{"amount": "1", "\u0061mount": "2"}"""), ("a field in capitals", """{"Amount": "1"}"""),
            ("a lone surrogate as a name", """{"amount": "1", "\uD800": "x"}"""),
            ("a depth bomb", new string('[', 8000)), ("a depth bomb in a field", $$"""{"amount": "1", "description": {{new('[', 8000)}}"""),
            ("a depth bomb in an unknown field", $$"""{"x": {{string.Concat(Enumerable.Repeat("{\"x\":", 2000))}}"""),
        ];
        foreach (var (name, body) in bodies)
            yield return Post(name, path, body);

        byte[] start = [.. """{"amount": "1", "description": "a"""u8];
        (string Name, byte[] Bytes)[] bytes =
        [
            ("a continuation byte alone", [0x80]), ("a sequence cut short", [0xC3]), ("an overlong slash", [0xC0, 0xAF]),
            ("a surrogate in UTF-8", [0xED, 0xA0, 0x80]), ("beyond Unicode", [0xF4, 0x90, 0x80, 0x80]), ("0xFF", [0xFF]),
            ("a raw NUL", [0x00]), ("a raw newline", [0x0A]), ("a raw escape", [0x1B]),
        ];
        foreach (var (name, middle) in bytes)
            yield return Post(name, path, [.. start, .. middle, .. "\"}"u8]);
        yield return Post("a byte order mark", path, [0xEF, 0xBB, 0xBF, .. """{"amount": "1"}"""u8]);
        yield return Post("UTF-16", path, Encoding.Unicode.GetBytes("""{"amount": "1"}"""));
    }

    private static IEnumerable<Bad> Fields()
    {
        (string Name, string Value)[] texts =
        [
            ("NUL", "\"a\\u0000b\""), ("a high surrogate", "\"\\uD83D\""), ("a low surrogate", "\"\\uDE00\""),
            ("surrogates the wrong way round", "\"\\uDE00\\uD83D\""), ("null", "null"), ("a number", "1"), ("an object", "{}"),
        ];
        foreach (var (name, value) in texts)
        {
            yield return Post("description " + name, "/accounts/{usd}/deposit", $$"""{"amount": "1", "description": {{value}}}""");
            yield return Post("owner_name " + name, "/accounts", $$"""{"owner_name": {{value}}}""");
            yield return Post("reason " + name, "/accounts/{empty}/close", $$"""{"reason": {{value}}}""");
        }

        yield return Post("description of 501", "/accounts/{usd}/deposit", $$"""{"amount": "1", "description": "{{new('x', 501)}}"}""");
        yield return Post(
            "description of 501 wide characters",
            "/accounts/{usd}/withdraw",
            $$"""{"amount": "1", "description": "{{string.Concat(Enumerable.Repeat("\\uD83D\\uDE00", 501))}}"}""");
        yield return Post("reason of 501", "/accounts/{empty}/close", $$"""{"reason": "{{new('x', 501)}}"}""");
        yield return Post("owner_name missing", "/accounts", """{"initial_deposit": "1"}""");
        yield return Post("owner_name empty", "/accounts", """{"owner_name": ""}""");
        yield return Post("owner_name of 201", "/accounts", $$"""{"owner_name": "{{new('x', 201)}}"}""");
        foreach (var currency in (string[])["\"usd\"", "\"US\"", "\"USDX\"", "\"XXX\"", "\"XAU\"", "\"\"", "840", "null"])
            yield return Post("currency " + currency, "/accounts", $$"""{"owner_name": "J", "currency": {{currency}}}""");
        foreach (var id in (string[])["\"\"", "\"x\"", "\"{00000000-0000-0000-0000-000000000000}\"", "1", "null",
            "\"00000000000000000000000000000000\"", "\" 00000000-0000-0000-0000-000000000000\""])
            yield return Post("to_account_id " + id, "/accounts/{usd}/transfer", $$"""{"to_account_id": {{id}}, "amount": "1"}""");
        yield return Post("to_account_id missing", "/accounts/{usd}/transfer", """{"amount": "1"}""");
    }

    private static IEnumerable<Bad> Sizes()
    {
        const string type = "Content-Type: application/json\r\n";
        var piece = Encoding.ASCII.GetBytes(new string(' ', 16 * 1024));
        byte[] chunk = [.. "4000\r\n"u8, .. piece, .. "\r\n"u8];
        yield return new("a body of 16 KiB and a byte", 413, "body_too_large",
            [Head("POST", "/accounts/{usd}/deposit", type + "Content-Length: 16385\r\n"), piece, [(byte)' ']]);
        yield return new("a body of 20 MB", 413, "body_too_large",
            [Head("POST", "/accounts/{usd}/deposit", type + "Content-Length: 20000000\r\n"), .. Enumerable.Repeat(piece, 1220)]);
        yield return new("a body of a terabyte that is not even sent", 413, "body_too_large",
            [Head("POST", "/accounts/{usd}/deposit", type + "Content-Length: 1099511627776\r\nExpect: 100-continue\r\n")]);
        yield return new("chunks without end", 413, "body_too_large",
            Forever(chunk).Prepend(Head("POST", "/accounts/{usd}/deposit", type + "Transfer-Encoding: chunked\r\n")));
        yield return new("one chunk of 20 MB", 413, "body_too_large",
            Forever(piece).Prepend([.. Head("POST", "/accounts", type + "Transfer-Encoding: chunked\r\n"), .. "1312D00\r\n"u8]));
        yield return new("a chunk without a length", 400, "malformed_request",
            [Head("POST", "/accounts/{usd}/deposit", type + "Transfer-Encoding: chunked\r\n"), [.. "xyz\r\n{}\r\n0\r\n\r\n"u8]]);
        // The server waits for a while, and then no longer.
        yield return new("a body that stops half way", 400, "malformed_request",
            [Head("POST", "/accounts/{usd}/deposit", type + "Content-Length: 100\r\n"), [.. """{"amount": "1"}"""u8]]);
    }

    private static IEnumerable<Bad> MediaTypes()
    {
        string[] headers =
        [
            "Content-Type: text/plain\r\n", "Content-Type: text/json\r\n", "Content-Type: application/xml\r\n", "Content-Type: json\r\n",
            "Content-Type: multipart/form-data; boundary=x\r\n", "Content-Type: application/json; charset=utf-16\r\n",
            "Content-Type: application/json; charset=latin1\r\n", "Content-Type: application/json, text/plain\r\n",
            "Content-Type: \r\n", "Content-Type: */*\r\n", "Content-Type: application/json\r\nContent-Type: application/json\r\n",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "Content-Encoding: br\r\n",
        ];
        foreach (var header in headers)
            yield return new(header.ReplaceLineEndings(" "), 415, "unsupported_media_type",
                [Head("POST", "/accounts/{usd}/deposit", header + "Content-Length: 15\r\n"), [.. """{"amount": "1"}"""u8]]);
    }

    private static IEnumerable<Bad> Headers()
    {
        (string Name, string Header)[] malformed =
        [
            ("an empty key", "Idempotency-Key: \r\n"), ("a key of 256", $"Idempotency-Key: {new string('k', 256)}\r\n"),
            ("a key with a space", "Idempotency-Key: a b\r\n"), ("a key with a tab", "Idempotency-Key: a\tb\r\n"),
            ("a key in UTF-8", "Idempotency-Key: caf\u00C3\u00A9\r\n"), ("a key in Latin-1", "Idempotency-Key: caf\u00E9\r\n"),
            ("two keys", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), ("If-Match without quotes", "If-Match: 1\r\n"),
            ("If-Match with one quote", "If-Match: \"1\r\n"), ("If-Match with two tags", "If-Match: \"1\", \"2\"\r\n"),
            ("two If-Match", "If-Match: \"1\"\r\nIf-Match: \"1\"\r\n"), ("an empty If-Match", "If-Match: \r\n"),
            ("If-Match of words", "If-Match: the last one\r\n"),
        ];
        foreach (var (name, header) in malformed)
            yield return Post(name, "/accounts/{usd}/deposit", """{"amount": "1"}""", headers: header);
        foreach (var tag in (string[])["\"99\"", "\"0\"", "\"01\"", "\"x\"", "\"\"", "W/\"1\"", "\"99999999999999999999\""])
            yield return Post("If-Match " + tag, "/accounts/{usd}/deposit", """{"amount": "1"}""", 412, "precondition_failed",
                $"If-Match: {tag}\r\n");
        yield return Post("If-Match on a transfer", "/accounts/{usd}/transfer", """{"to_account_id": "{other}", "amount": "1"}""",
            headers: "If-Match: \"1\"\r\n");
    }

    private static IEnumerable<Bad> Origins()
    {
        string[] origins =
        [
            "http://evil.example", "null", "http://{host}.evil.example", "https://{host}", "http://127.0.0.1:1",
            "http://{host}\r\nOrigin: http://{host}", "", "http://{host}/",
        ];
        foreach (var origin in origins)
            yield return Post("Origin " + origin.ReplaceLineEndings(" "), "/accounts/{usd}/deposit", """{"amount": "1"}""",
                403, "origin_not_allowed", $"Origin: {origin}\r\n");
        yield return new("a read by a page of another origin", 403, "origin_not_allowed",
            [Head("GET", "/accounts/{usd}", "Origin: http://evil.example\r\n")]);
        yield return new("the question before a page of another origin posts", 403, "origin_not_allowed",
            [Head("OPTIONS", "/accounts", "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n")]);
    }

    private static IEnumerable<Bad> Paths()
    {
        const string unknown = "00000000-0000-4000-8000-000000000000";
        foreach (var id in (string[])["1", unknown, "{" + unknown + "}", unknown[..^1], unknown + "0", "(x)", "%FF",
            unknown.Replace('-', '_'), unknown.Replace("-", "", StringComparison.Ordinal), "0x" + unknown[2..]])
        {
            yield return Get($"account {id}", $"/accounts/{id}", 404, "account_not_found");
            yield return Post($"deposit to {id}", $"/accounts/{id}/deposit", """{"amount": "1"}""", 404, "account_not_found");
        }

        yield return Post("withdrawal from nowhere", $"/accounts/{unknown}/withdraw", """{"amount": "1"}""", 404, "account_not_found");
        yield return Post("closing nothing", $"/accounts/{unknown}/close", "{}", 404, "account_not_found");
        yield return Post("transfer from nowhere", $"/accounts/{unknown}/transfer",
            """{"to_account_id": "{usd}", "amount": "1"}""", 404, "account_not_found");
        yield return Get("events of nothing", $"/accounts/{unknown}/events", 404, "account_not_found");
        yield return Get("events of nothing from version 5", $"/accounts/{unknown}/events?from_version=5", 404, "account_not_found");
        yield return Get("an unknown event", $"/events/{unknown}", 404, "event_not_found");
        yield return Get("an event that is no UUID", "/events/1", 404, "event_not_found");
        yield return Get("an unknown transfer", $"/transfers/{unknown}", 404, "transfer_not_found");
        yield return Get("a transfer that is no UUID", "/transfers/x", 404, "transfer_not_found");
        yield return Get("a deposit as a transfer", "/transfers/{deposit}", 404, "transfer_not_found");
        foreach (var path in (string[])["/", "/nothing", "/accounts/{usd}/nothing", "/accounts/{usd}/events/1", "/accounts/../../../x"])
            yield return Get("path " + path, path, 404, "route_not_found");
    }

    private static IEnumerable<Bad> Methods()
    {
        foreach (var method in (string[])["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
            yield return new($"{method} of an account", 405, "method_not_allowed", [Head(method, "/accounts/{usd}")]);
        yield return new("PUT of the accounts", 405, "method_not_allowed", [Head("PUT", "/accounts")]);
        yield return new("GET of a deposit", 405, "method_not_allowed", [Head("GET", "/accounts/{usd}/deposit")]);
        yield return new("POST to the events", 405, "method_not_allowed", [Head("POST", "/events", "Content-Length: 0\r\n")]);
        yield return new("DELETE of an event", 405, "method_not_allowed", [Head("DELETE", "/events/{deposit}")]);
        yield return new("POST to a transfer", 405, "method_not_allowed", [Head("POST", "/transfers/{usd}", "Content-Length: 0\r\n")]);
        // An answer to HEAD has no body that could hold a code.
        yield return new("HEAD of an account", 405, null, [Head("HEAD", "/accounts/{usd}")]);
    }

    private static IEnumerable<Bad> Queries()
    {
        string[] malformed =
        [
            "/accounts?limit=0", "/accounts?limit=-1", "/accounts?limit=1001", "/accounts?limit=", "/accounts?limit=ten",
            "/accounts?limit=1.5", "/accounts?limit=+5", "/accounts?limit=%205", "/accounts?limit=0x5",
            "/accounts?limit=99999999999999999999",
            "/accounts?limit=%D9%A5", "/accounts?limit=5&limit=5", "/accounts?limit=5&LIMIT=5", "/accounts?Limit=5", "/accounts?page=2",
            "/accounts?status=frozen", "/accounts?status=", "/accounts?status=Active", "/accounts?owner=", "/accounts?owner=%00",
            "/accounts?min_position=-1", "/accounts?min_position=x", "/accounts?=x", "/accounts?limit",
            "/accounts/{usd}?consistency=weak", "/accounts/{usd}?consistency=", "/accounts/{usd}?x=1", "/accounts/{usd}?min_position=1e3",
            "/accounts/{usd}/events?from_version=0", "/accounts/{usd}/events?from_version=-1", "/accounts/{usd}/events?limit=1001",
            "/accounts/{usd}/events?from_position=1", "/events?from_position=0", "/events?from_position=x",
            "/events?from_position=9223372036854775808", "/events?from_version=1", "/events/{deposit}?limit=1", "/transfers?account=x",
            "/transfers?status=lost", "/transfers?limit=0", "/transfers?owner=J",
        ];
        foreach (var path in malformed)
            yield return Get(path, path, 400, "malformed_request");
        yield return Post("a query on a command", "/accounts/{usd}/deposit?limit=5", """{"amount": "1"}""");
        foreach (var cursor in (string[])["x", "", "AAAAAAAAAAAA", "%00", "AQAAAAAAAAAB%20", "AgAAAAAAAAAB", "AQAAAAAAAAAA", "AQ=="])
            yield return Get("a cursor of accounts: " + cursor, $"/accounts?cursor={cursor}", 400, "invalid_cursor");
        yield return Get("a cursor of accounts for transfers", "/transfers?cursor=AQAAAAAAAAAB", 400, "invalid_cursor");
    }

    private static IEnumerable<Bad> Rules()
    {
        yield return Post("an overdraft", "/accounts/{usd}/withdraw", """{"amount": "100.01"}""", 422, "insufficient_funds");
        yield return Post("a deposit to a closed account", "/accounts/{closed}/deposit", """{"amount": "1"}""", 422, "account_closed");
        yield return Post("a withdrawal from a closed one", "/accounts/{closed}/withdraw", """{"amount": "1"}""", 422, "account_closed");
        yield return Post("closing a closed account", "/accounts/{closed}/close", "{}", 422, "account_closed");
        yield return Post("closing an account with money", "/accounts/{usd}/close", "{}", 422, "account_not_empty");
        yield return Post("overflow of a balance", "/accounts/{full}/deposit", """{"amount": "0.01"}""", 422, "balance_too_large");
        yield return Post("overflow of a balance by the largest amount", "/accounts/{full}/deposit",
            """{"amount": "10000000000000.00"}""", 422, "balance_too_large");
        yield return Post("a transfer to itself", "/accounts/{usd}/transfer",
            """{"to_account_id": "{usd}", "amount": "1"}""", 422, "same_account");
        yield return Post("a key used for another amount", "/accounts/{usd}/deposit", """{"amount": "99"}""", 422,
            "idempotency_key_reused", "Idempotency-Key: first\r\n");
        yield return Post("a deposit's key used for a withdrawal", "/accounts/{usd}/withdraw", """{"amount": "100"}""", 422,
            "idempotency_key_reused", "Idempotency-Key: first\r\n");
        yield return Post("a deposit's key used for closing", "/accounts/{usd}/close", "{}", 422,
            "idempotency_key_reused", "Idempotency-Key: first\r\n");
        yield return Post("a deposit's key used for a transfer", "/accounts/{usd}/transfer",
            """{"to_account_id": "{other}", "amount": "100"}""", 422, "idempotency_key_reused", "Idempotency-Key: first\r\n");
    }

    // What the server cannot read as HTTP never comes to the API: a status without a code.
    private static IEnumerable<Bad> NotHttp()
    {
        (string Name, int Status, string Request)[] requests =
        [
            ("no HTTP at all", 400, "hello\r\n\r\n"), ("no version", 400, "GET /api/v1/accounts\r\n\r\n"),
            ("no Host", 400, "GET /api/v1/accounts HTTP/1.1\r\n\r\n"), ("two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            ("a header without a colon", 400, "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"),
            ("a header with NUL", 400, "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"),
            ("a space before the colon", 400, "GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n"),
            ("a negative length", 400, "POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
            ("two lengths", 400, "POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            ("an unknown transfer coding", 400, "POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: zip\r\n\r\n"),
            ("NUL in a path", 400, "GET /api/v1/accounts/%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("headers of 40 KB", 431, $"GET / HTTP/1.1\r\nHost: x\r\nX: {new string('x', 40_000)}\r\n\r\n"),
            ("a path of 10 KB", 414, $"GET /{new string('x', 10_000)} HTTP/1.1\r\nHost: x\r\n\r\n"),
        ];
        foreach (var (name, status, request) in requests)
            yield return new(name, status, null, [Encoding.Latin1.GetBytes(request)]);
    }

    private static Bad Get(string name, string path, int status, string code) => new(name, status, code, [Head("GET", path)]);

    private static Bad Post(
        string name, string path, string body, int status = 400, string code = "malformed_request", string headers = "") =>
        Post(name, path, Encoding.UTF8.GetBytes(body), status, code, headers);

    private static Bad Post(
        string name, string path, byte[] body, int status = 400, string code = "malformed_request", string headers = "") =>
        new(name, status, code,
            [[.. Head("POST", path, headers + "Content-Type: application/json\r\nContent-Length: {length}\r\n"), .. body]]);

    private static byte[] Head(string method, string path, string headers = "") =>
        Encoding.Latin1.GetBytes($"{method} /api/v1{path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n{headers}\r\n");

    // Lazily: a spread into a list would not end.
    private static IEnumerable<byte[]> Forever(byte[] piece)
    {
        while (true)
            yield return piece;
    }

    /// <summary>Accounts in every state that a case needs, whose ids it names in braces.</summary>
    public sealed class Accounts(OneBank.Fixture shared) : IAsyncLifetime
    {
        private Dictionary<string, string> ids = [];

        public async ValueTask InitializeAsync()
        {
            var rest = shared.Bank.Rest;
            var usd = await rest.OpenAsync();
            var deposit = (await rest.DepositAsync(usd, "100", "first")).Is(200).Id("event_id");
            var closed = await rest.OpenAsync();
            (await rest.CloseAsync(closed)).Is(200);
            var full = await rest.OpenAsync();
            var grain = shared.Bank.Grains.GetGrain<IBankAccountGrain>(full);
            var replies = await Task.WhenAll(Enumerable.Range(0, 1000).Select(
                _ => grain.Deposit(new(1_000_000_000_000_000, 2), "", new(Guid.NewGuid()))));
            Assert.All(replies, reply => Assert.Equal(ReplyStatus.Done, reply.Status));
            ids = new()
            {
                ["{host}"] = shared.Bank.Address.Authority,
                ["{usd}"] = usd.ToString(),
                ["{deposit}"] = deposit.ToString(),
                ["{closed}"] = closed.ToString(),
                ["{full}"] = full.ToString(),
                ["{other}"] = (await rest.OpenAsync()).ToString(),
                ["{empty}"] = (await rest.OpenAsync()).ToString(),
                ["{jpy}"] = (await rest.OpenAsync("1000", "JPY")).ToString(),
            };
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        /// <summary>Puts ids, and the length of the body, where their names stand.</summary>
        public byte[] FillIn(byte[] piece)
        {
            // Only what begins a request has names in it.
            if (piece.Length > 0x10000 || !piece.AsSpan().Contains((byte)'{'))
                return piece;
            var text = ids.Aggregate(
                Encoding.Latin1.GetString(piece), (filled, id) => filled.Replace(id.Key, id.Value, StringComparison.Ordinal));
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            return Encoding.Latin1.GetBytes(text.Replace(
                "{length}", (text.Length - end - 4).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
        }
    }
}
