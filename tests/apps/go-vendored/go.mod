module example.org/shop

go 1.21

require example.org/greeting v1.0.0
