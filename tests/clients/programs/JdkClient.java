import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The HttpClient of the JDK: the answers as they came, on one line each. */
class JdkClient {
  // snippet: Java's HttpClient
  static final String SERVER = "http://127.0.0.1:8080/v1";
  static final HttpClient CLIENT = HttpClient.newHttpClient();

  static HttpRequest.Builder call(String operation) {
    return HttpRequest.newBuilder(URI.create(SERVER + "/images/" + operation))
        .header("Authorization", "Bearer sk-test");
  }

  static HttpRequest generation(String json) {
    return call("generations").header("Content-Type", "application/json")
        .POST(BodyPublishers.ofString(json)).build();
  }
  // end

  /** An edit with the files of *parts*, which are pairs of a field and a file. */
  static HttpRequest edit(String prompt, String... parts) throws IOException {
    ByteArrayOutputStream form = new ByteArrayOutputStream();
    for (String[] field : new String[][] {{"model", "gpt-image-2"}, {"prompt", prompt}}) {
      write(form, "--b\r\nContent-Disposition: form-data; name=\"" + field[0] + "\"\r\n\r\n");
      write(form, field[1] + "\r\n");
    }
    for (int i = 0; i < parts.length; i += 2) {
      String names = "name=\"" + parts[i] + "\"; filename=\"" + parts[i + 1] + "\"";
      write(form, "--b\r\nContent-Disposition: form-data; " + names + "\r\n");
      write(form, "Content-Type: image/png\r\n\r\n");
      form.write(Files.readAllBytes(Path.of(parts[i + 1])));
      write(form, "\r\n");
    }
    write(form, "--b--\r\n");
    return call("edits").header("Content-Type", "multipart/form-data; boundary=b")
        .POST(BodyPublishers.ofByteArray(form.toByteArray())).build();
  }

  static void write(ByteArrayOutputStream form, String text) throws IOException {
    form.write(text.getBytes(StandardCharsets.UTF_8));
  }

  static void report(String operation, HttpRequest request) throws Exception {
    HttpResponse<String> answer = CLIENT.send(request, BodyHandlers.ofString());
    System.out.printf("{\"operation\": \"%s\", \"status\": %d, \"answer\": %s}%n",
        operation, answer.statusCode(), answer.body().replace("\n", ""));
  }

  static void stream(HttpRequest request) throws Exception {
    List<String> lines = CLIENT.send(request, BodyHandlers.ofLines()).body().toList();
    String events = values(lines, "event: ").map(name -> '"' + name + '"')
        .collect(Collectors.joining(", "));
    String last = values(lines, "data: ").reduce((first, second) -> second).orElseThrow();
    System.out.printf("{\"operation\": \"stream\", \"events\": [%s], \"answer\": {\"data\": [%s]}}%n",
        events, last);
  }

  static Stream<String> values(List<String> lines, String key) {
    return lines.stream().filter(line -> line.startsWith(key))
        .map(line -> line.substring(key.length()));
  }

  public static void main(String[] arguments) throws Exception {
    String model = "{\"model\": \"gpt-image-2\", ";
    report("generate", generation(model + "\"prompt\": \"A lighthouse\"}"));
    report("edit", edit("By night", "image", "lighthouse.png"));
    report("mask", edit("A red door", "image", "lighthouse.png", "mask", "mask.png"));
    report("inputs",
        edit("Both on one shelf", "image[]", "lighthouse.png", "image[]", "harbour.png"));
    stream(generation(model + "\"prompt\": \"A ship\", \"stream\": true, \"partial_images\": 2}"));
    report("error", generation(model + "\"prompt\": \"A mistake\", \"size\": \"1000x1000\"}"));
    report("retry", generation(model + "\"prompt\": \"A rate limit\"}"));
  }
}
