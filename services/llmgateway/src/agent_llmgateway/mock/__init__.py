"""The scripted provider: answers, streams and every fault, over real HTTP. For offline work, demos and tests."""
