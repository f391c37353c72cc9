using System.Diagnostics;
using System.Text.Json;
using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Bank.Gateway.Tests;

public sealed class FailureTests
{
    [Fact]
    public async Task A_failure_that_nobody_foresaw_is_logged_with_the_correlation_id_that_its_client_is_told()
    {
        var log = new ErrorLog();
        using var factory = LoggerFactory.Create(logging => logging.AddProvider(log));
        using var request = new Activity("a request").Start();
        var http = new DefaultHttpContext
        {
            Request = { Method = "POST", Path = "/api/v1/accounts" },
            Response = { Body = new MemoryStream() },
        };
        var failures = new Failures(_ => throw new InvalidOperationException("a fault"), factory.CreateLogger<Failures>());
        await failures.InvokeAsync(http);

        http.Response.Body.Position = 0;
        using var told = await JsonDocument.ParseAsync(http.Response.Body, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("outcome_unknown", told.RootElement.GetProperty("code").GetString());
        var id = told.RootElement.GetProperty("correlation_id").GetString()!;
        Assert.Equal(request.TraceId.ToHexString(), id);
        Assert.Contains(id, Assert.Single(log.Lines), StringComparison.Ordinal);
    }
}
