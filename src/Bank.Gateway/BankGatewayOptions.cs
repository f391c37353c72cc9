namespace Bank.Gateway;

/// <summary>Settings of the REST API.</summary>
public sealed class BankGatewayOptions
{
    /// <summary>
    /// How long a request waits for a grain; default 25 s. Longer than the journal's write budget, so that a command hears its own outcome,
    /// and shorter than most proxies' patience.
    /// </summary>
    public TimeSpan AnswerWithin { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>
    /// How many commands are under way at a time; default 1,000. Others are refused at once as <c>overloaded</c>. A batch of the journal
    /// holds as many, so that more would wait for a second one.
    /// </summary>
    public int CommandsInFlight { get; set; } = 1_000;

    /// <summary>How often a live feed that has nothing to say says so; default 15 s.</summary>
    public TimeSpan LiveBeat { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How many events may wait for one client of a live feed; default 4,096. One that is slower is dropped.</summary>
    public int LiveWaiting { get; set; } = 4_096;

    /// <summary>How long a live feed that ends tries to say why; default 2 s.</summary>
    public TimeSpan LiveFarewell { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a query waits for the position that it was asked to know of; default 2 s.</summary>
    public TimeSpan PositionWithin { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>What is wrong with these settings: a sentence each, which names the setting; empty when all is well.</summary>
    public IReadOnlyList<string> FindProblems()
    {
        var problems = new List<string>();
        Require(CommandsInFlight >= 1, nameof(CommandsInFlight), $"must be at least 1, not {CommandsInFlight}");
        Require(LiveWaiting >= 1, nameof(LiveWaiting), $"must be at least 1, not {LiveWaiting}");
        Lasts(AnswerWithin, nameof(AnswerWithin), TimeSpan.FromMilliseconds(1));
        Lasts(LiveBeat, nameof(LiveBeat), TimeSpan.FromMilliseconds(1));
        Lasts(LiveFarewell, nameof(LiveFarewell), TimeSpan.Zero);
        Lasts(PositionWithin, nameof(PositionWithin), TimeSpan.Zero);
        return problems;

        // A number without a unit is one of days, and no timer counts to fifty of them.
        void Lasts(TimeSpan value, string setting, TimeSpan least) => Require(
            value >= least && value <= TimeSpan.FromDays(1), setting, $"must be between {least} and a day, not {value}");

        void Require(bool condition, string setting, string what)
        {
            if (!condition)
                problems.Add($"{nameof(BankGatewayOptions)}.{setting} {what}.");
        }
    }
}
