import { GenericContainer, Wait } from "testcontainers";

const PORT = 8080;

/** A container with the emulator. Settings are its variables without their prefix, such as AS_OF. */
export class ImagesEmulatorContainer extends GenericContainer {
  constructor(image = "images-emulator", settings = {}) {
    super(image);
    const variables = Object.entries(settings).map(([name, value]) => [
      `IMAGES_EMULATOR_${name}`,
      `${value}`,
    ]);
    this.withEnvironment(Object.fromEntries(variables))
      .withExposedPorts(PORT)
      .withWaitStrategy(Wait.forHttp("/_emulator/ready", PORT));
  }
}

/** The address of a started container, without /v1. */
export function urlOf(container) {
  return `http://${container.getHost()}:${container.getMappedPort(PORT)}`;
}
