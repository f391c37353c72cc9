using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace Bank.Gateway.Problems;

/// <summary>An error as it is answered: RFC 9457 with a stable code.</summary>
/// <param name="Code">One of <see cref="ProblemCode.Table"/>.</param>
internal sealed record Problem(string Code) : IResult
{
    // The silo's own retries have taken seconds already, and a queue empties within one.
    private const string RetryAfterSeconds = "1";

    /// <summary>What is wrong with each field, parameter or header.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }

    /// <summary>The recorded transfer that the error tells of; its status is 422 then, whatever the code means elsewhere.</summary>
    public EndedTransfer? Transfer { get; init; }

    /// <summary>Where the log has more to say than the client is told: what the request is called there.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>One thing is wrong with a request.</summary>
    /// <param name="field">Of the body, of the query, or a header; <c>body</c> as a whole.</param>
    /// <param name="error">A clause whose subject is the field.</param>
    public static Problem Malformed(string field, string error) =>
        new(ProblemCode.MalformedRequest) { Errors = new Dictionary<string, string[]> { [field] = [error] } };

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var (code, status, detail) = ProblemCode.Of(Code);
        if (Transfer is not null)
            status = StatusCodes.Status422UnprocessableEntity;
        var response = httpContext.Response;
        response.StatusCode = status;
        if (status == StatusCodes.Status503ServiceUnavailable)
            response.Headers.RetryAfter = RetryAfterSeconds;
        var document = new ProblemDocument(
            "about:blank",
            ReasonPhrases.GetReasonPhrase(status),
            status,
            detail,
            code,
            Errors,
            Transfer?.TransferId,
            Transfer?.Status,
            Transfer?.Position,
            CorrelationId);
        await response.WriteAsJsonAsync(
            document, GatewayJson.Default.ProblemDocument, "application/problem+json", httpContext.RequestAborted);
    }
}

/// <summary>A transfer that was recorded and ended refused.</summary>
internal sealed record EndedTransfer(Guid TransferId, string Status, long Position);
