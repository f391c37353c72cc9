using Bank.Benchmarks.Measuring;
using Bank.Testing;

namespace Bank.Benchmarks;

/// <summary>Something that is compared, on a private Postgres of its own that flushes as the product's does.</summary>
internal abstract class Scenario
{
    /// <summary>As it is called on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>One line for the help.</summary>
    public abstract string About { get; }

    /// <summary>Too long for a run of everything: it is measured when it is asked for, and in a quick run.</summary>
    public virtual bool OnlyByName => false;

    /// <summary>Prepares, measures and cleans up, all but the server.</summary>
    public abstract Task MeasureAsync(Comparison comparison, UnshakenPostgres postgres, CancellationToken cancellation);
}
