using System.Diagnostics.Metrics;
using Bank.Contracts;

namespace Bank.Grains;

/// <summary>What the bank counts, of the meter <see cref="MeterName"/>.</summary>
public sealed class BankMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Bank";

    private readonly Meter _meter;
    private readonly Counter<long> _commands;

    public BankMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(MeterName);
        _commands = _meter.CreateCounter<long>("bank.commands", "{command}", "Commands by kind and by how they ended");
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>Counts a command that has its answer.</summary>
    /// <param name="command"><c>open</c>, <c>deposit</c>, <c>withdraw</c>, <c>close</c> or <c>transfer</c>.</param>
    /// <param name="status">How it ended.</param>
    internal void Ended(string command, ReplyStatus status) =>
        _commands.Add(1, new("command", command), new("outcome", status.ToString()));
}
