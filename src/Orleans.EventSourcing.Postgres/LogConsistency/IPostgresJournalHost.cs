namespace Orleans.EventSourcing.Postgres;

/// <summary>What a grain can tell the adaptor beyond what Orleans asks of a host.</summary>
internal interface IPostgresJournalHost<TView, in TEvent>
{
    /// <summary>The view before the first event.</summary>
    TView CreateView();

    /// <summary>Folds an event of that command into the view.</summary>
    void Fold(TView view, TEvent @event, Guid commandId);
}
