using System.Diagnostics;
using System.Globalization;
using Bank.Contracts;
using Bank.Domain;
using Bank.Gateway.Problems;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Bank.Gateway.Requests;

/// <summary>What a command's headers say. Who asks, once callers sign in, is found out here too, and goes on from here only.</summary>
/// <param name="Key">The idempotency key; made up where the client gave none.</param>
/// <param name="IfMatch">The version that the client decided on; null for any.</param>
/// <param name="CorrelationId">The request, for the audit trail.</param>
internal sealed record CommandHeaders(string Key, long? IfMatch, string CorrelationId)
{
    private const string IdempotencyKey = "Idempotency-Key";

    // An entity tag that we did not make: no account is ever at this version.
    private const long NoVersion = -1;

    /// <exception cref="RequestRefusedException">A header is not well formed.</exception>
    public static CommandHeaders Read(HttpContext http, TimeProvider time)
    {
        var errors = new RequestErrors();
        var key = Guid.CreateVersion7(time.GetUtcNow()).ToString("D");
        if (http.Request.Headers.TryGetValue(IdempotencyKey, out var keys))
        {
            if (keys is [{ } given] && Limits.IsIdempotencyKey(given))
                key = given;
            else
                errors.Add(IdempotencyKey, $"must be one value of 1 to {Limits.IdempotencyKey} visible ASCII characters");
        }
        else
        {
            // Told with whatever the answer is: who hears that it may have happened can ask again with it.
            http.Response.OnStarting(() =>
            {
                http.Response.Headers[IdempotencyKey] = key;
                return Task.CompletedTask;
            });
        }

        long? ifMatch = null;
        if (http.Request.Headers.IfMatch is { Count: > 0 } tags && !(tags is [{ } tag] && TryReadVersion(tag, out ifMatch)))
            errors.Add(HeaderNames.IfMatch, "must be * or one entity tag, such as \"3\"");
        errors.ThrowIfAny();
        return new(key, ifMatch, CorrelationOf(http));
    }

    /// <summary>What a request is called in the record, in logs and in traces: the id of its trace.</summary>
    public static string CorrelationOf(HttpContext http) => Activity.Current?.TraceId.ToHexString() ?? http.TraceIdentifier;

    /// <summary>What travels with the command.</summary>
    public CommandContext For(Guid commandId, DateTimeOffset sentAt) => new(commandId, CorrelationId, Principal: null, IfMatch, sentAt);

    public static string ETag(long version) => string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    private static bool TryReadVersion(string header, out long? version)
    {
        version = null;
        if (!EntityTagHeaderValue.TryParse(header, out var tag))
            return false;
        if (tag.Equals(EntityTagHeaderValue.Any))
            return true;
        version = !tag.IsWeak
            && long.TryParse(tag.Tag.AsSpan()[1..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var ours)
            && tag.Tag.Equals(ETag(ours), StringComparison.Ordinal)
                ? ours
                : NoVersion;
        return true;
    }
}
