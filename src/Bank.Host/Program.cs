return await Bank.Host.Commands.BankCommands.RunAsync(args);
