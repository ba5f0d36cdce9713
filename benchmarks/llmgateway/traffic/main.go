// Both ends of the gateway's benchmark, in a language that is faster than what is measured: an upstream that
// answers from memory, and a load generator that counts.
//
//	traffic upstream -port 9000
//	traffic load -url http://127.0.0.1:9000/v1/chat/completions -body body.json -c 32 -for 5s
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

const events = 200

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: traffic upstream|load [flags]")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "upstream":
		err = upstream(os.Args[2:])
	case "load":
		err = load(os.Args[2:])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func upstream(arguments []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	port := flags.Int("port", 9000, "port to listen on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	whole := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1750000000,"model":"m","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"` + strings.Repeat("An answer of some length. ", 12) + `"},` +
		`"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":60,"total_tokens":80}}`)
	pieces := streamPieces()
	http.HandleFunc("/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !bytes.Contains(body, []byte(`"stream":true`)) && !bytes.Contains(body, []byte(`"stream": true`)) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(whole)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flusher := w.(http.Flusher)
		for _, piece := range pieces {
			w.Write(piece)
			flusher.Flush()
		}
	})
	return http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil)
}

func streamPieces() [][]byte {
	event := func(delta, finish string) []byte {
		return []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1750000000,"model":"m",` +
			`"choices":[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + "}]}\n\n")
	}
	pieces := [][]byte{event(`{"role":"assistant","content":""}`, "null")}
	for number := range events - 2 { // each another word: LiteLLM ends a stream that repeats itself
		pieces = append(pieces, event(fmt.Sprintf(`{"content":" w%04d"}`, number), "null"))
	}
	return append(pieces, event(`{}`, `"stop"`), []byte("data: [DONE]\n\n"))
}

type sample struct {
	total, first time.Duration
}

func load(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	url := flags.String("url", "", "where to")
	bodyPath := flags.String("body", "", "file with the request")
	concurrency := flags.Int("c", 1, "requests at a time")
	duration := flags.Duration("for", 5*time.Second, "how long")
	stream := flags.Bool("stream", false, "the answer is a stream")
	headers := flags.String("headers", "", "further headers: name=value,name=value")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	body, err := os.ReadFile(*bodyPath)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *concurrency, DisableCompression: true}}
	var lock sync.Mutex
	var samples []sample
	failed := 0
	var workers sync.WaitGroup
	began := time.Now()
	for range *concurrency {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for time.Since(began) < *duration {
				one, err := ask(client, *url, *headers, body, *stream)
				lock.Lock()
				if err != nil {
					failed++
				} else {
					samples = append(samples, one)
				}
				lock.Unlock()
			}
		}()
	}
	workers.Wait()
	return report(samples, failed, time.Since(began))
}

func ask(client *http.Client, url, headers string, body []byte, stream bool) (sample, error) {
	began := time.Now()
	request, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return sample{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer benchmark")
	for _, header := range strings.Split(headers, ",") {
		if name, value, ok := strings.Cut(header, "="); ok {
			request.Header.Set(name, value)
		}
	}
	answer, err := client.Do(request)
	if err != nil {
		return sample{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		io.Copy(io.Discard, answer.Body)
		return sample{}, fmt.Errorf("status %d", answer.StatusCode)
	}
	if !stream {
		_, err = io.Copy(io.Discard, answer.Body)
		return sample{total: time.Since(began)}, err
	}
	reader := bufio.NewReaderSize(answer.Body, 1<<16)
	if _, err = reader.ReadBytes('\n'); err != nil {
		return sample{}, err
	}
	first := time.Since(began)
	rest, err := io.ReadAll(reader)
	if err == nil && !bytes.Contains(rest, []byte("[DONE]")) {
		err = fmt.Errorf("a stream without its end")
	}
	return sample{total: time.Since(began), first: first}, err
}

func report(samples []sample, failed int, took time.Duration) error {
	if len(samples) == 0 {
		return fmt.Errorf("no request of %d was answered", failed)
	}
	totals := make([]float64, len(samples))
	firsts := make([]float64, len(samples))
	for i, one := range samples {
		totals[i] = float64(one.total.Microseconds()) / 1000
		firsts[i] = float64(one.first.Microseconds()) / 1000
	}
	sort.Float64s(totals)
	sort.Float64s(firsts)
	at := func(values []float64, q float64) float64 { return values[int(q*float64(len(values)-1))] }
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests":     len(samples),
		"failed":       failed,
		"per_s":        float64(len(samples)) / took.Seconds(),
		"p50_ms":       at(totals, 0.5),
		"p99_ms":       at(totals, 0.99),
		"first_p50_ms": at(firsts, 0.5),
	})
}
