// What the API has seen, for /skein/v1/metrics: garbage on the socket costs a counter and no more.

export class ApiCounters {
  /** Bytes that were no HTTP request. */
  malformed = 0;
  readonly #answers = new Map<number, number>();

  answered(status: number): void {
    this.#answers.set(status, (this.#answers.get(status) ?? 0) + 1);
  }

  /** Prometheus text exposition format 0.0.4. */
  text(): string {
    const answers = [...this.#answers]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `skein_api_requests_total{status="${status}"} ${count}\n`);
    return [
      "# HELP skein_api_requests_total Requests answered on the local socket.\n",
      "# TYPE skein_api_requests_total counter\n",
      ...answers,
      "# HELP skein_api_malformed_total Bytes on the local socket that were no HTTP request.\n",
      "# TYPE skein_api_malformed_total counter\n",
      `skein_api_malformed_total ${this.malformed}\n`,
    ].join("");
  }
}
