namespace Orleans.EventSourcing.Postgres;

/// <summary>
/// A view that can give a cheap copy of itself, for instance because it only holds one immutable record. Views that cannot are folded twice
/// instead: once as confirmed, once as tentative.
/// </summary>
/// <typeparam name="TView">The view itself.</typeparam>
public interface IForkable<out TView>
{
    /// <summary>A copy that later events change without changing this one.</summary>
    TView Fork();
}
