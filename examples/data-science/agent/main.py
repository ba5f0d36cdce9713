"""An analyst: sums up what the boats landed, and has a model say what the figures mean."""

import os
from pathlib import Path

import pandas as pd
from openai import OpenAI

HERE = Path(__file__).parent


def main() -> None:
    landings = pd.read_csv(HERE / "landings.csv")
    by_fish = landings.groupby("fish")["kg"].agg(["sum", "mean", "count"]).sort_values("sum", ascending=False)
    by_day = landings.groupby("day", sort=False)["kg"].sum()
    print(by_fish.round(0).to_string())
    print(f"best day: {by_day.idxmax()}, {by_day.max()} kg")

    answer = OpenAI().chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": f"Say in one sentence what this shows:\n{by_fish}\n{by_day}"}],
    )
    report = Path(os.environ["AGENT_WORKSPACE"]) / "report.md"
    report.write_text(f"{answer.choices[0].message.content}\n\n{by_fish}\n")
    print(f"report: {answer.choices[0].message.content}")


if __name__ == "__main__":
    main()
