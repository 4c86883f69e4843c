// Command program is what runs in the pods of the node agent's tests.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	fmt.Println("it begins with", os.Args[1:])
	switch os.Args[1] {
	case "exit":
		code, err := strconv.Atoi(os.Args[2])
		fmt.Println("it exits with", code, err)
		os.Exit(code)
	case "grow":
		var all [][]byte
		for range 200 {
			more := make([]byte, 1<<20)
			for i := range more {
				more[i] = 1
			}
			all = append(all, more)
		}
		time.Sleep(time.Minute)
		fmt.Println(len(all))
	case "serve":
		serve()
	case "touch":
		file, err := os.Create(os.Args[2])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(func() int { _ = file.Close(); return 0 }())
	}
}

func serve() {
	ready := time.Now().Add(time.Second)
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if time.Now().Before(ready) {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat("/scratch/sick"); err == nil {
			http.Error(w, "sick", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/environment", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(os.Environ(), "\n")) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		content, err := os.ReadFile(r.FormValue("path"))
		fmt.Fprint(w, string(content), text(err))
	})
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, text(os.WriteFile(r.FormValue("path"), []byte("written"), 0o600)))
	})
	mux.HandleFunc("/self", func(w http.ResponseWriter, r *http.Request) {
		host, err := os.Hostname()
		client, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "uid %d gid %d host %s client %s%s", os.Getuid(), os.Getgid(), host, client, text(err))
	})
	mux.HandleFunc("/ask", func(w http.ResponseWriter, r *http.Request) {
		connection, err := net.DialTimeout("tcp", r.FormValue("address"), 5*time.Second)
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		defer connection.Close()
		said, err := io.ReadAll(connection)
		fmt.Fprint(w, string(said), text(err))
	})
	server := &http.Server{Addr: ":8080", Handler: mux}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		if err := server.ListenAndServe(); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
	}()
	<-ctx.Done()
	fmt.Println("it was asked to end")
	time.Sleep(500 * time.Millisecond)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
