using Bank.Testing;
using Xunit;

[assembly: AssemblyFixture(typeof(PrivatePostgres))]

namespace Bank.Deploy.Tests;

/// <summary>Tests for which the program is published once.</summary>
[CollectionDefinition]
public sealed class ImageCollection : ICollectionFixture<Image>;
