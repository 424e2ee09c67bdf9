defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [app: :shop, version: "1.0.0", elixir: "~> 1.12", deps: deps()]
  end

  def application do
    [mod: {Shop, []}, extra_applications: [:logger]]
  end

  defp deps do
    [{:greeting, git: "https://git.example.org/greeting.git", tag: "v1.0.0"}]
  end
end
