using System.Collections.Immutable;
using System.Globalization;
using Bank.Contracts;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

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

    /// <summary>What its client hears at the end.</summary>
    public string End => Way switch
    {
        Way.Completed => "completed",
        Way.Rejected => "rejected",
        _ => "failed",
    };

    /// <summary>Whether anything of the transfer is recorded at this point.</summary>
    public bool IsRequested => What switch
    {
        "AskSource" => false,
        "Request" or "TransferRequested" => Side == Side.After,
        _ => true,
    };

    /// <summary>Every append and every grain call of a transfer, on each way that it is met.</summary>
    public static ImmutableArray<SagaPoint> All { get; } =
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
    /// <returns>When it has come here: what it was.</returns>
    public async Task<Trial> StopAsync(IGrainFactory grains, FaultPoints points)
    {
        var trial = Trial.New(this);
        await trial.OpenAsync(grains);
        var hold = trial.Hold(grains, points);
        _ = trial.RequestAsync(grains);
        await hold.Reached;
        return trial;
    }

    public override string ToString() => $"{Side} {What} at the {At} ({Way})";

    private static IEnumerable<SagaPoint> Both(Way way, string at, params string[] whats) =>
        from what in whats from side in Enum.GetValues<Side>() select new SagaPoint(way, at, what, side);
}

/// <summary>One transfer that is to be stopped at a point.</summary>
public sealed record Trial(SagaPoint Point, Guid Transfer, Guid Source, Guid Destination)
{
    public static Trial New(SagaPoint point) => new(point, Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());

    /// <summary>From what <see cref="ToString"/> wrote.</summary>
    public static Trial Parse(ReadOnlySpan<string> words) => new(
        SagaPoint.All[int.Parse(words[0], CultureInfo.InvariantCulture)], Guid.Parse(words[1]), Guid.Parse(words[2]), Guid.Parse(words[3]));

    /// <summary>Opens the accounts, each in the silo that it is told, if any.</summary>
    public async Task OpenAsync(IGrainFactory grains, SiloAddress? sourceIn = null, SiloAddress? destinationIn = null)
    {
        await Task.WhenAll(Open(Source, Point.Funds, sourceIn), Open(Destination, 0, destinationIn));

        async Task Open(Guid account, long deposit, SiloAddress? silo)
        {
            Place(silo);
            var grain = grains.GetGrain<IBankAccountGrain>(account);
            await grain.Open("Ada", "USD", new(deposit, 2), new(Guid.NewGuid()));
            if (silo is not null && await grains.GetGrain<IManagementGrain>(0).GetActivationAddress(grain) is var at && !silo.Equals(at))
                throw new InvalidOperationException($"The account lives in {at}, not in {silo}.");
        }
    }

    /// <summary>Whatever of this transfer comes to the point in this silo stops there.</summary>
    public Hold Hold(IGrainFactory grains, FaultPoints points)
    {
        if (Point.Way == Way.Failed)
            points.At(
                Destination, "AskDestination", Side.After,
                () => grains.GetGrain<IBankAccountGrain>(Destination).Close("", new(Guid.NewGuid())));
        return points.Hold(
            Point.At switch { "transfer" => Transfer, "source" => Source, _ => Destination }, Point.What, Point.Side);
    }

    public async Task<TransferReply> RequestAsync(IGrainFactory grains, SiloAddress? transferIn = null)
    {
        Place(transferIn);
        return await grains.GetGrain<ITransferGrain>(Transfer).Request(Source, Destination, new(SagaPoint.Amount, 2), "", new(Transfer));
    }

    public override string ToString() => $"{SagaPoint.All.IndexOf(Point)} {Transfer} {Source} {Destination}";

    private static void Place(SiloAddress? silo)
    {
        if (silo is not null)
            RequestContext.Set(IPlacementDirector.PlacementHintKey, silo);
    }
}
