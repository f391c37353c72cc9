using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Bank.Testing;
using Xunit;

namespace Bank.Gateway.Tests;

/// <summary>What the API answered.</summary>
public sealed record Answer(int Status, JsonNode? Body, IReadOnlyDictionary<string, string> Headers)
{
    public string? Code => (string?)Body?["code"];

    public bool IsReplay => Headers.GetValueOrDefault("Idempotency-Replayed") == "true";

    public string Text(string field) => (string)Body![field]!;

    public long Number(string field) => (long)Body![field]!;

    public Guid Id(string field) => Guid.Parse(Text(field));

    /// <summary>This very answer, or a message that shows what came instead.</summary>
    public Answer Is(int status, string? code = null)
    {
        Assert.True(
            Status == status && Code == code, $"Expected {status} {code}, not {Status} {Code}: {Body?.ToJsonString() ?? "no body"}");
        return this;
    }
}

/// <summary>Sends what a well-behaved client sends.</summary>
public sealed class RestClient(Uri address) : IDisposable
{
    private readonly HttpClient http = new() { BaseAddress = address };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Asks once more, as a client does, while the read tables are behind what this gateway has acknowledged.</summary>
    public Task<Answer> GetAsync(string path) => Eventually.UntilAsync(
        $"{path} is there to be read",
        () => GetOnceAsync(path),
        answer => answer.Code != "read_model_behind",
        TimeSpan.FromSeconds(60));

    public Task<Answer> GetOnceAsync(string path, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Get, path, null, headers);

    public Task<Answer> PostAsync(string path, string body, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Post, path, body, headers);

    /// <summary>A new account.</summary>
    public async Task<Guid> OpenAsync(string deposit = "0", string currency = "USD", string owner = "John Doe") => (await PostAsync(
        "/api/v1/accounts",
        $$"""{"owner_name": "{{owner}}", "initial_deposit": "{{deposit}}", "currency": "{{currency}}"}""")).Is(201).Id("account_id");

    public Task<Answer> DepositAsync(Guid account, string amount, string? key = null) => MoveAsync(account, "deposit", amount, key);

    public Task<Answer> WithdrawAsync(Guid account, string amount, string? key = null) => MoveAsync(account, "withdraw", amount, key);

    public Task<Answer> CloseAsync(Guid account, string? key = null) =>
        PostAsync($"/api/v1/accounts/{account}/close", """{"reason": "moved"}""", Key(key));

    public Task<Answer> TransferAsync(Guid from, Guid to, string amount, string? key = null) => PostAsync(
        $"/api/v1/accounts/{from}/transfer", $$"""{"to_account_id": "{{to}}", "amount": "{{amount}}", "description": "rent"}""", Key(key));

    public Task<Answer> AccountAsync(Guid account) => GetAsync($"/api/v1/accounts/{account}");

    public void Dispose() => http.Dispose();

    private Task<Answer> MoveAsync(Guid account, string what, string amount, string? key) =>
        PostAsync($"/api/v1/accounts/{account}/{what}", $$"""{"amount": "{{amount}}"}""", Key(key));

    private static (string, string)[] Key(string? key) => key is null ? [] : [("Idempotency-Key", key)];

    private async Task<Answer> SendAsync(HttpMethod method, string path, string? body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        foreach (var (name, value) in headers)
            request.Headers.Add(name, value);
        using var response = await http.SendAsync(request, Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        return new(
            (int)response.StatusCode,
            text.Length == 0 ? null : JsonNode.Parse(text),
            response.Headers.Concat(response.Content.Headers).ToDictionary(
                header => header.Key, header => string.Join(',', header.Value), StringComparer.OrdinalIgnoreCase));
    }
}
