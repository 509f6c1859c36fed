<?php
// PHP's curl.

// snippet: PHP's curl
function call(string $operation, string|array $body, array $headers = []): CurlHandle
{
    $call = curl_init("http://127.0.0.1:8080/v1/images/$operation");
    curl_setopt_array($call, [
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => ["Authorization: Bearer sk-test", ...$headers],
        CURLOPT_RETURNTRANSFER => true,
    ]);
    return $call;
}

function generation(array $parameters): CurlHandle
{
    $body = json_encode(["model" => "gpt-image-2", ...$parameters]);
    return call("generations", $body, ["Content-Type: application/json"]);
}
// end

function edit(string $prompt, array $files): CurlHandle
{
    $parts = array_map(fn ($name) => new CURLFile($name, "image/png", $name), $files);
    return call("edits", ["model" => "gpt-image-2", "prompt" => $prompt, ...$parts]);
}

function report(string $operation, array $result): void
{
    echo json_encode(["operation" => $operation, ...$result], JSON_UNESCAPED_SLASHES), "\n";
}

function answer(string $operation, CurlHandle $call): void
{
    $answer = json_decode(curl_exec($call));
    report($operation, ["status" => curl_getinfo($call, CURLINFO_HTTP_CODE), "answer" => $answer]);
}

function stream(CurlHandle $call): void
{
    $text = "";
    curl_setopt($call, CURLOPT_WRITEFUNCTION, function ($call, $chunk) use (&$text) {
        $text .= $chunk;
        return strlen($chunk);
    });
    curl_exec($call);
    preg_match_all("/^data: (.*)$/m", $text, $lines);
    $events = array_map("json_decode", $lines[1]);
    report("stream", [
        "events" => array_column($events, "type"),
        "images" => [end($events)->b64_json],
    ]);
}

answer("generate", generation(["prompt" => "A lighthouse"]));
answer("edit", edit("By night", ["image" => "lighthouse.png"]));
answer("mask", edit("A red door", ["image" => "lighthouse.png", "mask" => "mask.png"]));
answer("inputs", edit("Both on one shelf", [
    "image[0]" => "lighthouse.png",
    "image[1]" => "harbour.png",
]));
stream(generation(["prompt" => "A ship", "stream" => true, "partial_images" => 2]));
answer("error", generation(["prompt" => "A mistake", "size" => "1000x1000"]));
answer("retry", generation(["prompt" => "A rate limit"]));
