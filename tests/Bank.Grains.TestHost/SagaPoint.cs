using Bank.Contracts;

namespace Bank.Grains.TestHost;

/// <summary>How a transfer goes, when nobody stops it.</summary>
public enum Way
{
    /// <summary>The money arrives.</summary>
    Completed,

    /// <summary>The source has not enough.</summary>
    Rejected,

    /// <summary>The destination closes after it was asked, so the money comes back.</summary>
    Failed,
}

/// <summary>A place at which a transfer can be stopped.</summary>
/// <param name="Way">How it goes.</param>
/// <param name="At">Whose stream is appended to, or who is called: the transfer, its source or its destination.</param>
/// <param name="What">The type of the event, or the method.</param>
/// <param name="Side">Before or after it.</param>
public sealed record SagaPoint(Way Way, string At, string What, Side Side)
{
    /// <summary>What the source holds before.</summary>
    public long Funds => Way == Way.Rejected ? 5_00 : 100_00;

    /// <summary>What is transferred.</summary>
    public const long Amount = 10_00;

    /// <summary>Whether anything of the transfer is recorded at this point.</summary>
    public bool IsRequested => What switch
    {
        "AskSource" => false,
        "Request" or "TransferRequested" => Side == Side.After,
        _ => true,
    };

    /// <summary>Every append and every grain call of a transfer, on each way that it is met.</summary>
    public static IReadOnlyList<SagaPoint> All { get; } =
    [
        .. Both(Way.Completed, "transfer", "Request", "TransferRequested", "TransferCompleted"),
        .. Both(Way.Completed, "source", "AskSource", "Send", "TransferSent"),
        .. Both(Way.Completed, "destination", "AskDestination", "Receive", "TransferReceived"),
        .. Both(Way.Rejected, "source", "TransferDeclined"),
        .. Both(Way.Rejected, "transfer", "TransferRejected"),
        .. Both(Way.Failed, "destination", "TransferDeclined"),
        .. Both(Way.Failed, "transfer", "ReturnDecided", "TransferFailed"),
        .. Both(Way.Failed, "source", "Return", "TransferReturned"),
    ];

    /// <summary>Opens two accounts, and stops a transfer between them here.</summary>
    /// <returns>When it has come here: the ids of the transfer, the source and the destination.</returns>
    public async Task<(Guid Transfer, Guid Source, Guid Destination)> StopAsync(IGrainFactory grains, FaultPoints points)
    {
        var (transfer, source, destination) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        await Task.WhenAll(Open(source, Funds), Open(destination, 0));
        if (Way == Way.Failed)
            points.At(destination, "AskDestination", Side.After, () => grains.GetGrain<IBankAccountGrain>(destination).Close("", New()));
        var hold = points.Hold(At switch { "transfer" => transfer, "source" => source, _ => destination }, What, Side);
        _ = grains.GetGrain<ITransferGrain>(transfer).Request(source, destination, new(Amount, 2), "", new(transfer));
        await hold.Reached;
        return (transfer, source, destination);

        Task<CommandReply> Open(Guid account, long deposit) =>
            grains.GetGrain<IBankAccountGrain>(account).Open("Ada", "USD", new(deposit, 2), New());

        static CommandContext New() => new(Guid.NewGuid());
    }

    public override string ToString() => $"{Side} {What} at the {At} ({Way})";

    private static IEnumerable<SagaPoint> Both(Way way, string at, params string[] whats) =>
        from what in whats from side in Enum.GetValues<Side>() select new SagaPoint(way, at, what, side);
}
