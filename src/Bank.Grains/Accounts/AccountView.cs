using Bank.Domain;
using Orleans.EventSourcing.Postgres;

namespace Bank.Grains.Accounts;

/// <summary>One immutable state in a box, so that a copy costs nothing.</summary>
public sealed class AccountView : IForkable<AccountView>
{
    public AccountState State { get; set; } = Account.Initial();

    public AccountView Fork() => new() { State = State };
}
