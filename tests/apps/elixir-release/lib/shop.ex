defmodule Shop do
  @moduledoc "Answers every request with what it was made from."
  use Application

  def start(_type, _arguments) do
    {:ok, address} = :inet.parse_address(String.to_charlist(System.fetch_env!("BIND_ADDRESS")))
    options = [:binary, active: false, reuseaddr: true, ip: address]
    {:ok, listener} = :gen_tcp.listen(String.to_integer(System.fetch_env!("PORT")), options)
    body = answer()
    Task.start_link(fn -> serve(listener, body) end)
  end

  defp serve(listener, body) do
    {:ok, socket} = :gen_tcp.accept(listener)
    _ = :gen_tcp.recv(socket, 0)
    head = "HTTP/1.1 200 OK\r\nContent-Length: #{byte_size(body)}\r\nConnection: close\r\n\r\n"
    _ = :gen_tcp.send(socket, head <> body)
    :gen_tcp.close(socket)
    serve(listener, body)
  end

  defp answer do
    commit = String.trim(File.read!("COMMIT"))
    Enum.join(["one", commit, Greeting.greet("Ada"), System.version()], " ")
  end
end
