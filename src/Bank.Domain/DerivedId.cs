namespace Bank.Domain;

/// <summary>
/// Every id that follows from another. The journal keeps event ids unique, so what is derived from one key can happen only once: for ever,
/// on every silo, after every restart and lost reply. (The later events of one command get their ids from the journal, in the same way.)
/// </summary>
public static class DerivedId
{
    private static readonly Guid OpenNamespace = new("f8a7c2d6-9d0e-4c53-8b1f-3a6e5d4c7b20");
    private static readonly Guid ActNamespace = new("2b9a4b0e-6f1c-4d38-9c55-7e1d0a8f3c64");

    // What was derived from a key made before lies in journals, and is looked for as it was.
    private static readonly long TimesKeptSince = new DateTimeOffset(2026, 12, 1, 12, 0, 0, TimeSpan.Zero).ToUnixTimeMilliseconds();

    /// <summary>The account that a key opens.</summary>
    public static AccountId Account(string key) => new(Uuid.V5(OpenNamespace, Keyed("open", key)));

    /// <summary>The command that opens an account, and its <see cref="AccountOpened"/>.</summary>
    public static Guid Opening(AccountId account) => Uuid.V5(account.Value, "open");

    /// <summary>
    /// A command on an account, and its first event. Where the key is a UUID of version 7, as gateways make them up, the id has its time
    /// too: the journal's index of ids then grows at its end.
    /// </summary>
    public static Guid Command(AccountId account, string key)
    {
        var id = Uuid.V5(account.Value, Keyed("key", key));
        return Uuid.TryParse(key, out var timed) && timed.Version == 7 && Uuid.TimeOf(timed) >= TimesKeptSince ? Uuid.At(timed, id) : id;
    }

    /// <summary>
    /// A transfer, which is also the id of its command and of its <see cref="TransferRequested"/>. It is what <see cref="Command"/> gives
    /// for the source, so that a key used for a deposit cannot be used again for a transfer.
    /// </summary>
    public static TransferId Transfer(AccountId source, string key) => new(Command(source, key));

    /// <summary>A step of a transfer, whatever its outcome, and the event that records it; it has the transfer's time.</summary>
    public static Guid Step(TransferId transfer, TransferStep step)
    {
        var id = Uuid.V5(transfer.Value, "step:" + step.Name());
        return transfer.Value.Version == 8 ? Uuid.At(transfer.Value, id) : id;
    }

    /// <summary>What an operator does to a projection, and the event that records it.</summary>
    /// <param name="projection">Its name, which has no colon.</param>
    /// <param name="key">The operator's.</param>
    public static Guid Act(string projection, string key) => Uuid.V5(ActNamespace, Keyed($"act:{projection}", key));

    // Keys are the callers'. Whatever is to keep the keys of two callers apart is added here, and nowhere else.
    private static string Keyed(string use, string key) => $"{use}:{key}";
}
