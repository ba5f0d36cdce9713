"""A lighthouse keeper: counts the watches of its life, and recalls the last one."""

import os

import redis


def main() -> None:
    memory = redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    with memory.pipeline() as both:
        both.incr("watches")
        both.get("last-light")
        watches, last = both.execute()
    print(f"watch {watches}: the last light seen was {last or 'none yet'}")
    memory.set("last-light", f"the ferry's, on watch {watches}", ex=30 * 24 * 3600)


if __name__ == "__main__":
    main()
