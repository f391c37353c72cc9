using System.Diagnostics;
using Bank.Contracts;
using Bank.Domain;
using Bank.Gateway.Problems;
using Bank.Gateway.Requests;
using Microsoft.AspNetCore.Http;

namespace Bank.Gateway;

/// <summary>What grains' replies are in HTTP.</summary>
internal static class Replies
{
    /// <summary>The answer where a grain has done nothing.</summary>
    /// <param name="status">Any but <see cref="ReplyStatus.Done"/>.</param>
    /// <param name="code">The refusal's code or the malformed field's name.</param>
    public static Problem ToProblem(ReplyStatus status, string? code) => status switch
    {
        ReplyStatus.Refused => new(code!),
        ReplyStatus.Malformed => Problem.Malformed(
            code!, code == "currency" ? "must be the code of a currency of ISO 4217" : RequestErrors.AmountRule(code != "amount")),
        ReplyStatus.KeyReused => new(ProblemCode.IdempotencyKeyReused),
        ReplyStatus.PreconditionFailed => new(ProblemCode.PreconditionFailed),
        ReplyStatus.VersionConflict => new(ProblemCode.VersionConflict),
        ReplyStatus.Overloaded => new(ProblemCode.Overloaded),
        ReplyStatus.JournalUnavailable => new(ProblemCode.JournalUnavailable),
        ReplyStatus.OutcomeUnknown => new(ProblemCode.OutcomeUnknown),
        _ => throw new UnreachableException($"{status} is no problem"),
    };

    /// <summary>Whether the command is done; null where it is neither done nor refused.</summary>
    public static bool? IsDone(ReplyStatus status) => status switch
    {
        ReplyStatus.Done => true,
        ReplyStatus.Refused or ReplyStatus.Malformed or ReplyStatus.KeyReused or ReplyStatus.PreconditionFailed => false,
        _ => null,
    };

    public static string Money(long minorUnits, string currency) =>
        new Money(minorUnits, Currency.Parse(currency).Digits).ToString();

    /// <summary>Says that an earlier request with the same key had done it.</summary>
    public static void MarkReplay(HttpContext http, bool replayed)
    {
        if (replayed)
            http.Response.Headers["Idempotency-Replayed"] = "true";
    }
}
