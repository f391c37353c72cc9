using Bank.Domain;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains.Transfers;

/// <summary>What the transfer's own stream says; null before the request.</summary>
public sealed class TransferView : IForkable<TransferView>
{
    public TransferState? State { get; set; }

    public TransferView Fork() => new() { State = State };
}
