(defproject shop "1.0.0"
  :dependencies [[org.clojure/clojure "1.11.1"]
                 [org.clojure/data.json "2.4.0"]]
  :main shop.core
  :profiles {:uberjar {:aot :all}})
