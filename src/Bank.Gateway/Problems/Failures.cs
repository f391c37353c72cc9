using Bank.Gateway.Requests;
using Bank.ReadModel;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.EventSourcing.Postgres;

namespace Bank.Gateway.Problems;

/// <summary>
/// Answers whatever ended a request early, so that there is no error without a code. A command that failed in a way which nobody foresaw
/// may have happened: its client is told so, and asks again with the same key.
/// </summary>
internal sealed class Failures(RequestDelegate next, ILogger<Failures> log)
{
    public async Task InvokeAsync(HttpContext http)
    {
        try
        {
            await next(http);
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            if (http.RequestAborted.IsCancellationRequested)
                return;
            var problem = Of(e, http.Request);
            if (!IsForeseen(e))
            {
                problem = problem with { CorrelationId = CommandHeaders.CorrelationOf(http) };
                log.RequestFailed(http.Request.Method, http.Request.Path, problem.Code, problem.CorrelationId, e);
            }

            http.Response.Clear();
            await problem.ExecuteAsync(http);
        }
    }

    /// <summary>What the framework decided and left without a body.</summary>
    public static Task DescribeAsync(HttpContext http) => (http.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => new Problem(ProblemCode.RouteNotFound),
        StatusCodes.Status405MethodNotAllowed => new Problem(ProblemCode.MethodNotAllowed),
        StatusCodes.Status413PayloadTooLarge => new Problem(ProblemCode.BodyTooLarge),
        StatusCodes.Status415UnsupportedMediaType => new Problem(ProblemCode.UnsupportedMediaType),
        _ => new Problem(ProblemCode.MalformedRequest),
    }).ExecuteAsync(http);

    // What is away says so itself, once, and not for every request.
    private static bool IsForeseen(Exception e) => e is BadHttpRequestException or InvalidCursorException or ReadModelBehindException
        or JournalUnavailableException or NpgsqlException or TimeoutException or OrleansException;

    private static Problem Of(Exception e, HttpRequest request) => e switch
    {
        RequestRefusedException refused => refused.Problem,
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => new(ProblemCode.BodyTooLarge),
        // A body that comes too slowly, ends too early, or whose chunks are none.
        BadHttpRequestException bad => Problem.Malformed("body", bad.Message),
        ReadModelBehindException => new(ProblemCode.ReadModelBehind),
        InvalidCursorException => new(ProblemCode.InvalidCursor),
        JournalUnavailableException or NpgsqlException => new(ProblemCode.JournalUnavailable),
        _ when HttpMethods.IsGet(request.Method) => new(ProblemCode.JournalUnavailable),
        _ => new(ProblemCode.OutcomeUnknown),
    };
}
