module example.com/posters

go 1.19
