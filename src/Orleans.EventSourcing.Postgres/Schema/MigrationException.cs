namespace Orleans.EventSourcing.Postgres.Schema;

/// <summary>A database that cannot be brought to the state of this build. The message is a sentence for an operator.</summary>
public sealed class MigrationException(string message, Exception? inner = null) : Exception(message, inner);
