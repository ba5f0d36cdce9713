module agentberth/benchmarks/llmgateway/traffic

go 1.24
