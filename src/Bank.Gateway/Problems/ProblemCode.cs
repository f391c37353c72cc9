using System.Collections.Frozen;

namespace Bank.Gateway.Problems;

/// <summary>One row of the table of errors.</summary>
/// <param name="Code">What clients go by; it never changes.</param>
/// <param name="Status">HTTP's.</param>
/// <param name="Detail">What a person reads where the request gives nothing more exact to say.</param>
internal sealed record ProblemCode(string Code, int Status, string Detail)
{
    public const string MalformedRequest = "malformed_request";
    public const string InvalidCursor = "invalid_cursor";
    public const string OriginNotAllowed = "origin_not_allowed";
    public const string AccountNotFound = "account_not_found";
    public const string TransferNotFound = "transfer_not_found";
    public const string EventNotFound = "event_not_found";
    public const string ProjectionNotFound = "projection_not_found";
    public const string RouteNotFound = "route_not_found";
    public const string MethodNotAllowed = "method_not_allowed";
    public const string VersionConflict = "version_conflict";
    public const string PositionBeyondHead = "position_beyond_head";
    public const string PartitionNotParked = "partition_not_parked";
    public const string PreconditionFailed = "precondition_failed";
    public const string BodyTooLarge = "body_too_large";
    public const string UnsupportedMediaType = "unsupported_media_type";
    public const string IdempotencyKeyReused = "idempotency_key_reused";
    public const string JournalUnavailable = "journal_unavailable";
    public const string OutcomeUnknown = "outcome_unknown";
    public const string Overloaded = "overloaded";
    public const string ReadModelBehind = "read_model_behind";

    /// <summary>Every code that this API answers with.</summary>
    public static IReadOnlyList<ProblemCode> Table { get; } =
    [
        new(MalformedRequest, 400, "The request is not what this resource takes; errors says where."),
        new(InvalidCursor, 400, "The cursor is none that this list gave."),
        new(OriginNotAllowed, 403, "Web pages of other origins may not use this API."),
        new(AccountNotFound, 404, "There is no such account."),
        new(TransferNotFound, 404, "There is no such transfer."),
        new(EventNotFound, 404, "There is no such event."),
        new(ProjectionNotFound, 404, "There is no such projection, or no such partition of it."),
        new(RouteNotFound, 404, "There is nothing at this path."),
        new(MethodNotAllowed, 405, "This resource does not know the method; Allow names those that it knows."),
        new(VersionConflict, 409, "Others kept changing the account while this was decided. Nothing was recorded; try again."),
        new(PositionBeyondHead, 409, "The journal does not reach that position: it was restored, or the position is another journal's."),
        new(PartitionNotParked, 409, "The partition is not parked, or at another position."),
        new(PreconditionFailed, 412, "The account is not at the version that If-Match names."),
        new(BodyTooLarge, 413, "A body has at most 16 KiB."),
        new(UnsupportedMediaType, 415, "A body is JSON in UTF-8, application/json, and not compressed."),
        new("insufficient_funds", 422, "The account holds less than that."),
        new("account_closed", 422, "The account is closed."),
        new("account_not_empty", 422, "Only an account without money can be closed."),
        new("currency_mismatch", 422, "The two accounts are kept in different currencies."),
        new("same_account", 422, "An account cannot transfer to itself."),
        new("balance_too_large", 422, "The balance would exceed what an account may hold."),
        new("destination_not_found", 422, "There is no account to receive the money."),
        new("destination_closed", 422, "The account that is to receive the money is closed."),
        new("destination_balance_too_large", 422, "The receiving account's balance would exceed what an account may hold."),
        new(IdempotencyKeyReused, 422, "The Idempotency-Key was used for another command."),
        new(JournalUnavailable, 503, "The journal cannot be reached. This attempt recorded nothing; try again, with the same key."),
        new(OutcomeUnknown, 503, "It may have happened. Ask again with the same Idempotency-Key to know."),
        new(Overloaded, 503, "Too much is waiting. This attempt recorded nothing; try again, with the same key."),
        new(ReadModelBehind, 503, "What was asked for is not there to be read yet; try again."),
    ];

    private static readonly FrozenDictionary<string, ProblemCode> ByCode =
        Table.ToFrozenDictionary(p => p.Code, StringComparer.Ordinal);

    public static ProblemCode Of(string code) => ByCode[code];
}
