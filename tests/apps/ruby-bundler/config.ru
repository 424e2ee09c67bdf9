# Answers every request with what it was made from.
require "greeting"

COMMIT = File.read("COMMIT").strip

run lambda { |_|
  [200, { "content-type" => "text/plain" }, ["one #{COMMIT} #{Greeting.greet("Ada")} #{RUBY_VERSION}"]]
}
