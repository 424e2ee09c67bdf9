(ns shop.core
  "Answers every request with what it was made from."
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io]
            [clojure.string :as string])
  (:import (com.sun.net.httpserver HttpHandler HttpServer)
           (java.net InetSocketAddress)
           (java.util Properties))
  (:gen-class))

(defn version []
  (with-open [in (io/input-stream (io/resource "META-INF/maven/org.clojure/data.json/pom.properties"))]
    (.getProperty (doto (Properties.) (.load in)) "version")))

(defn answer []
  (string/join " " ["one" (string/trim (slurp "COMMIT")) (json/write-str ["Ada"]) (version)
                    (System/getProperty "java.version")]))

(defn -main [& _]
  (let [address (InetSocketAddress. (System/getenv "BIND_ADDRESS") (Integer/parseInt (System/getenv "PORT")))
        body (.getBytes (answer) "UTF-8")]
    (doto (HttpServer/create address 0)
      (.createContext "/" (reify HttpHandler
                            (handle [_ exchange]
                              (.sendResponseHeaders exchange 200 (count body))
                              (.write (.getResponseBody exchange) body)
                              (.close exchange))))
      (.start))))
