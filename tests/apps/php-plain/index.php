<?php
// Answers every request with what it was made from.
header('Content-Type: text/plain');
$commit = trim(file_get_contents(__DIR__ . '/COMMIT'));
echo implode(' ', ['one', $commit, PHP_VERSION]);
