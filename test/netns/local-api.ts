// The local API of a lab's host by plain HTTP: a test that does hundreds of things cannot start a
// command line tool for each.
import { request } from "node:http";

export interface ApiAnswer {
  /** 0: no answer came (refused, reset, or none in time): the outcome is unknown. */
  readonly status: number;
  readonly body: string;
}

export function callApi(
  socketPath: string,
  method: string,
  path: string,
  body?: object,
  timeoutMs = 15_000,
): Promise<ApiAnswer> {
  return new Promise((resolve) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": text.length };
    const gone = (error: Error) => resolve({ status: 0, body: error.message });
    const asked = request(
      { socketPath, method, path, headers, agent: false, timeout: timeoutMs },
      (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          answer += chunk;
        });
        response.on("error", gone);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: answer }));
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
    asked.on("error", gone);
    asked.end(text);
  });
}

/** The JSON of a GET; throws unless it is 200. */
export async function getJson<T>(socketPath: string, path: string): Promise<T> {
  const { status, body } = await callApi(socketPath, "GET", path);
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${body}`);
  return JSON.parse(body) as T;
}
