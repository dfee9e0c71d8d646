# One image for every process of Belay; docker-compose.yml says which runs which.
FROM node:22-slim AS packages
WORKDIR /belay
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 BELAY_VAR=/var/belay BELAY_BIND=0.0.0.0
WORKDIR /belay
COPY requirements ./requirements
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes -r requirements/base.txt
COPY --from=packages /belay/node_modules ./node_modules
COPY . .
RUN useradd --system belay && mkdir /var/belay && chown belay /var/belay
USER belay
VOLUME /var/belay
EXPOSE 8000
ENTRYPOINT ["python", "manage.py"]
CMD ["process", "web"]
