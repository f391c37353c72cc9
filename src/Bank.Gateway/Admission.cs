using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;

namespace Bank.Gateway;

/// <summary>
/// Takes so many commands at a time and refuses the others before anything was done for them. Otherwise, when more are offered than the
/// journal takes, whoever comes waits behind all who came before, until everybody is answered too late. Takes none after a standstill.
/// </summary>
internal sealed class Admission(BankGatewayOptions options, Standstill standstill)
{
    private int _inFlight;

    public async Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        // What an operator does is not refused, and reads do not wait for the journal's writer.
        if (!HttpMethods.IsPost(http.Request.Method)
            || !http.Request.Path.StartsWithSegments("/api/v1/accounts", StringComparison.OrdinalIgnoreCase))
        {
            await next(http);
            return;
        }

        try
        {
            if (Interlocked.Increment(ref _inFlight) <= options.CommandsInFlight && !standstill.HasJustEnded)
                await next(http);
            else
                await new Problem(ProblemCode.Overloaded).ExecuteAsync(http);
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }
}
