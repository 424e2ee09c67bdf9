<?php
namespace Shop;

use Acme\Greeting;

class Marker
{
    public static function text(): string
    {
        $commit = trim(file_get_contents(__DIR__ . '/../COMMIT'));
        return implode(' ', ['one', $commit, Greeting::greet('Ada'), PHP_VERSION]);
    }
}
