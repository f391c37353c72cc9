using Bank.Domain;

namespace Bank.Events;

/// <summary>The state of an opened account as a snapshot keeps it.</summary>
/// <param name="RecentCommands">The ids of its last commands, oldest first.</param>
/// <param name="IsComplete">Whether these are all commands that there ever were.</param>
public sealed record StoredAccountState(
    string OwnerName,
    string? OwnerId,
    Currency Currency,
    Money Balance,
    bool Closed,
    Guid[] RecentCommands,
    bool IsComplete)
{
    public static StoredAccountState Of(AccountState state) => new(
        state.OwnerName,
        state.OwnerId,
        state.Currency,
        state.Balance,
        state.Status == AccountStatus.Closed,
        state.RecentCommands.Ids.ToArray(),
        state.RecentCommands.IsComplete);

    /// <param name="recentCommands">How many command ids the account is to remember from now on.</param>
    public AccountState ToState(int recentCommands) => new(
        Closed ? AccountStatus.Closed : AccountStatus.Active,
        OwnerName,
        OwnerId,
        Currency,
        Balance,
        Domain.RecentCommands.Restore(recentCommands, IsComplete, RecentCommands));
}
