using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Bank.Testing;
using Xunit;

namespace Bank.Cluster.Tests.Processes;

/// <summary>The way of one transfer through a cluster, as the spans tell it that its processes have exported.</summary>
[Collection(nameof(ClusterCollection))]
public sealed class TraceTests(LocalCluster cluster, ITestOutputHelper output)
{
    private sealed record Link(string TraceId, string SpanId);

    private sealed record Span(
        string TraceId, string SpanId, string? ParentSpanId, string Name, string Scope, string Kind, DateTimeOffset Start,
        double DurationMs, Dictionary<string, string?> Attributes, Link[] Links);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_trace_of_a_transfer_leads_from_its_request_to_the_read_table_and_the_live_feed_without_an_orphan()
    {
        await cluster.WholeAsync();
        using var client = new HttpClient { BaseAddress = cluster.Gateways[0] };
        var (from, to) = (await OpenAsync(client), await OpenAsync(client));
        await using var feed = await client.GetStreamAsync("/api/v1/events/live", Cancellation);
        using var lines = new StreamReader(feed);
        await lines.ReadLineAsync(Cancellation);

        var (trace, caller) = (ActivityTraceId.CreateRandom().ToHexString(), ActivitySpanId.CreateRandom().ToHexString());
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/v1/accounts/{from}/transfer")
        {
            Content = JsonContent.Create(new { to_account_id = to, amount = "1.00" }),
            Headers = { { "traceparent", $"00-{trace}-{caller}-01" } },
        };
        using var answer = await client.SendAsync(request, Cancellation);
        var transfer = (await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>(Cancellation))
            .GetProperty("transfer_id").GetString();
        while (await lines.ReadLineAsync(Cancellation) is { } line)
            if (line.Contains("\"TransferCompleted\"", StringComparison.Ordinal) && line.Contains(transfer!, StringComparison.Ordinal))
                break;

        List<Span> own = [], following = [];
        await Eventually.UntilAsync(
            "every hop has been exported",
            async () =>
            {
                var all = await ExportedAsync();
                own = [.. all.Where(span => span.TraceId == trace)];
                var roots = all.Where(span => span.Links.Any(link => link.TraceId == trace)).ToList();
                var traces = roots.Select(span => span.TraceId).ToHashSet();
                following = [.. all.Where(span => traces.Contains(span.TraceId))];
                string[] hops =
                [
                    .. own.Select(span => $"{span.Scope} {span.Kind} {span.Name}"),
                    .. roots.Select(span => $"{span.Name} {span.Attributes.GetValueOrDefault("projection")}".TrimEnd()),
                    .. following.Where(span => span.Scope == "Npgsql")
                        .Select(sql => $"SQL of {roots.Find(root => root.SpanId == sql.ParentSpanId)?.Name}"),
                ];
                string[] wanted =
                [
                    "Microsoft.AspNetCore server POST /api/v1/accounts/{id}/transfer",
                    "Bank.Calls client ITransferGrain/Request",
                    "Bank.Calls server ITransferGrain/Request",
                    "Bank.Calls server IAccountSteps/Send",
                    "Bank.Calls server IAccountSteps/Receive",
                    "journal.append",
                    "SQL of journal.append",
                    "projection.write transfers",
                    "projection.write transactions",
                    "SQL of projection.write",
                    "live.send",
                ];
                var missing = wanted.Except(hops).ToList();
                return (missing.Count == 0, $"missing: {string.Join(", ", missing)}; seen: {string.Join(", ", hops.Distinct())}");
            },
            LocalCluster.Patience);

        // Nobody's parent, and no link's end, is missing.
        var known = own.Select(span => span.SpanId).Append(caller).ToHashSet();
        Assert.All(own, span => Assert.Contains(span.ParentSpanId ?? "none", known));
        Assert.All(
            following.SelectMany(span => span.Links).Where(link => link.TraceId == trace), link => Assert.Contains(link.SpanId, known));
        var parents = following.Select(span => $"{span.TraceId} {span.SpanId}").ToHashSet();
        Assert.All(
            following.Where(span => span.ParentSpanId is not null),
            span => Assert.Contains($"{span.TraceId} {span.ParentSpanId}", parents));
        var began = own.Min(span => span.Start);
        foreach (var span in own.Concat(following).OrderBy(span => span.Start))
            output.WriteLine(
                $"{(span.Start - began).TotalMilliseconds,8:0.0} {span.DurationMs,7:0.0} " +
                $"{span.SpanId} {span.ParentSpanId,16} {span.Scope} {span.Name}");
    }

    [Fact]
    public async Task A_call_whose_caller_is_not_traced_begins_no_trace()
    {
        await cluster.WholeAsync();
        using var client = new HttpClient { BaseAddress = cluster.Gateways[0] };
        var account = await OpenAsync(client);
        // One trace in a hundred is kept: were a call one of its own, some of these would be.
        for (var i = 0; i < 500; i++)
            using (var answer = await client.PostAsync(
                $"/api/v1/accounts/{account}/deposit", JsonContent.Create(new { amount = "1.00" }), Cancellation))
                answer.EnsureSuccessStatusCode();

        Assert.All(
            (await ExportedAsync()).Where(span => span is { ParentSpanId: null, Links: [] }),
            span => Assert.Equal("Microsoft.AspNetCore", span.Scope));
    }

    private async Task<List<Span>> ExportedAsync()
    {
        var spans = new List<Span>();
        foreach (var file in Directory.EnumerateFiles(cluster.Traces))
        {
            // Its process is still writing; a line that is not whole will be there the next time.
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream);
            while (await reader.ReadLineAsync(Cancellation) is { } line)
                if (line.EndsWith('}'))
                    spans.Add(JsonSerializer.Deserialize<Span>(line, Host.HostSettings.Json)!);
        }

        return spans;
    }

    private static async Task<string> OpenAsync(HttpClient client)
    {
        using var opened = await client.PostAsync(
            "/api/v1/accounts", JsonContent.Create(new { owner_name = "Ada", initial_deposit = "10.00" }), Cancellation);
        return (await opened.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>(Cancellation))
            .GetProperty("account_id").GetString()!;
    }
}
