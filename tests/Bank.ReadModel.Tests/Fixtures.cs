using Bank.Testing;
using Xunit;

[assembly: AssemblyFixture(typeof(PrivatePostgres))]
