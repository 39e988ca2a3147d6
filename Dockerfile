# syntax=docker/dockerfile:1
# Coffer: built in one stage, run in another that has no compiler, no sources and no development packages.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npx nest build

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund \
 && npm cache clean --force

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production \
    DATA_DIR=/data \
    PORT=8000 \
    PATH=/app/bin:$PATH
WORKDIR /app
# The data folder exists before the volume is mounted, so that the volume belongs to the service's user.
RUN install -d -o node -g node -m 0700 /data
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY --chmod=0755 bin/coffer-server ./bin/
# So that `npm run COMMAND` works here as in a clone: it finds the service built, and does nothing.
COPY scripts/build-if-stale.mjs ./scripts/
COPY deploy/healthcheck.mjs ./deploy/
USER node
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["node", "deploy/healthcheck.mjs"]
# The script hands process 1 over to Node: it gets SIGTERM, and the service ends what is in flight.
CMD ["coffer-server"]
