package org.example.shop;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.commons.codec.digest.DigestUtils;

/** Answers every request with what it was made from. */
public final class Shop {
    private Shop() {}

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress(System.getenv("BIND_ADDRESS"), port), 0);
        byte[] answer = answer().getBytes(StandardCharsets.UTF_8);
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
    }

    private static String answer() throws IOException {
        String commit = Files.readString(Path.of("COMMIT")).trim();
        String version = DigestUtils.class.getPackage().getImplementationVersion();
        return String.join(" ", "one", commit, DigestUtils.md5Hex("Ada"), version, System.getProperty("java.version"));
    }
}
