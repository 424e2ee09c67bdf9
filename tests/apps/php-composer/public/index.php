<?php
// Answers every request with what it was made from.
require __DIR__ . '/../vendor/autoload.php';
header('Content-Type: text/plain');
echo Shop\Marker::text();
