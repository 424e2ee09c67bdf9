// Answers every request with what it was made from.
var app = WebApplication.CreateBuilder(args).Build();
var commit = File.ReadAllText("COMMIT").Trim();
app.MapGet("/", () => string.Join(" ", "one", commit));
app.Run();
