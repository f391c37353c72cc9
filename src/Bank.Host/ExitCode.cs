namespace Bank.Host;

/// <summary>What the program ends with; each has one meaning, and <c>./bank --help</c> lists them.</summary>
public enum ExitCode
{
    Done = 0,
    Failed = 1,
    AlreadyRunning = 10,
    PortInUse = 11,
    DatabaseUnreachable = 12,
    DatabaseTooOld = 13,
    DataDirectoryOfAnotherVersion = 14,
    SdkMissing = 15,
    DurabilityOff = 16,
    NotMigrated = 17,
    PostgresMissing = 18,
    PostgresFailed = 19,
    MigrationRefused = 20,
    DataDirectoryUnusable = 21,
    NotRunning = 22,
    RecordDamaged = 23,
}

/// <summary>A command that cannot be done; the message is the sentence that the user reads.</summary>
public sealed class CommandException(ExitCode exitCode, string message, Exception? inner = null) : Exception(message, inner)
{
    public ExitCode ExitCode { get; } = exitCode;
}
